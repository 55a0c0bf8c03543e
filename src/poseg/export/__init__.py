"""Export: networks and published weights as ONNX files with cards."""
