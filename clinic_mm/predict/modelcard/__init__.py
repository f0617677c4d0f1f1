"""The model card: what a model is for and not for, what it was fitted on, what it was seen to do.

    content     what a card is made of: sections of paragraphs, lists, tables, pictures
    build       the card of an artifact, from its own files alone
    limits      what must be known before its figures are believed
    markdown    as Markdown

Fixed words are a policy (`schemas/card.toml`), every figure is read from the artifact: nothing is typed by hand.
"""
