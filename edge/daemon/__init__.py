"""The supervisor process: no numpy, OpenCV, pydicom or interpreter, ever."""
