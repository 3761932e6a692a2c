"""Networks: a function each, named `nets.<file>:<function>`, that returns a torch module."""
