FROM base
ONBUILD COPY a.txt /a
ONBUILD RUN cat /a
