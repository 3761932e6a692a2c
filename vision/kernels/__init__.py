"""What runs a net: OpenVINO from an artifact, torch, ONNX Runtime. `vision.kernel` is the door to them."""
