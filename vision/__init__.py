"""The mathematics of safelight: images, nets, metrics. No Ray, MLflow, S3, clock or environment."""
