"""Networks in lower precision: half, int8 with its calibration, layers that stay in fp32."""
