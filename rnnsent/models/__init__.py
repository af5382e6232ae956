"""Networks: built in Keras, computed in NumPy, summarized."""
