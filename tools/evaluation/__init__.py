"""How good is the detector, beside those of others, on data that it was not built on?  `make evaluate`"""
