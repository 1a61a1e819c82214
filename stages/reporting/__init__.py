"""What the stages report and track make of benchmark records."""
