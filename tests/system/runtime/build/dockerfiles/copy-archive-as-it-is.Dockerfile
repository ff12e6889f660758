FROM base
COPY x.tar x.tar.gz /d/
