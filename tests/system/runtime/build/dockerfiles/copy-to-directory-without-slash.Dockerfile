FROM base
COPY a.txt /tmp
COPY a.txt /fresh
