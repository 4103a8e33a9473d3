"""
The sender of structured reports, and of maps, for one result at a time.

The supervisor starts `process` for each result and tells it by its standard input what to report,
where the images are and who gets it. `facts` reads the published message, `headers` the images up
to their pixels, `content` and `document` make the report, `capture` a map's picture, `association`
sends it.
"""
