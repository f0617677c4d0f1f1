"""Make radiographs of grey values as displayed, and refuse what is no radiograph of a chest."""
