"""What an operator needs to know of a run and its room at three in the morning; read by the page of operators."""
