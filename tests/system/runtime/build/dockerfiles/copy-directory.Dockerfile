FROM base
COPY dir /new
COPY dir /slash/
COPY dir /tmp
