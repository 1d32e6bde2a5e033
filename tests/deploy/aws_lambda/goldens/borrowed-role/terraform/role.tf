# The execution role is one that is there already; see function.tf.
