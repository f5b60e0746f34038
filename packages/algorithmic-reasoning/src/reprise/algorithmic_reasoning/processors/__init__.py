"""What stands between encoders and decoders: one file per kind of layer."""
