"""What facts and notes become, whatever they were read from: rows in one unit for each code, and one case of them."""
