"""What viewers draw from: decoded evidence as int16, in pieces, kept on disk within a bound. No model, no page."""
