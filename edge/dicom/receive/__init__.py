"""
The receiver: C-STORE into the inbox, and C-ECHO.

An object is streamed into `INBOX/.dicom`, synced, renamed into the inbox, and the inbox is synced;
only then its sender is told success. The data set stays as it was sent, behind file meta
information that never varies, so equal objects are equal files. Nobody looks at a pixel.

pynetdicom negotiates and keeps the state of associations. What a stranger could make large, slow or
countless is limited here, before pynetdicom sees it: connections (`door`), PDUs (`framing`),
messages and objects (`dimse`).
"""
