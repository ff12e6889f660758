FROM base
USER me
COPY a.txt /tmp/a
WORKDIR /home/me/w
