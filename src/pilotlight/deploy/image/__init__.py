"""One OCI image for every target: assembled here, built by whichever builder is there."""
