"""The encoder: MobileNetV2 features, SimCLR and its augmentation."""
