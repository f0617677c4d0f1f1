"""Checks before training: what would make the figures of a model dishonest, found in the cohort itself.

near        pairs of nearly equal vectors among many, without comparing all with all
pictures    X-rays, CT and signals that are copies of each other
notes       texts that are copies, judged by how unlikely the shared words are
records     facts that are copies, judged the same way
times       evidence, and dates inside notes, from after the decision
shortcuts   what metadata alone, or one trivial feature, scores
words       what single words of notes score, and words that tell the outcome
findings    what all of them say: errors, findings, and what was looked at
check       all of it over a cohort
"""
