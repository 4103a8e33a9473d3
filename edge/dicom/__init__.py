"""
DICOM on the network: processes of their own, which nothing else here imports.

They need the extra `dicom`.
"""
