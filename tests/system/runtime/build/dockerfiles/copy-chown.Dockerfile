FROM base
COPY --chown=1:2 a.txt /one
COPY --chown=me:us dir /two
COPY --chown=5 a.txt /three/new/
COPY --chown=0:us a.txt /four
