"""Follow the speed and the correctness of a library over its commits and devices. Start at model.py and pipeline.py."""
