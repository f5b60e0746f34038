"""Task affinity and clustering, estimated without retraining."""
