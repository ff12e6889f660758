FROM base
WORKDIR /w/x
COPY a.txt .
COPY a.txt ./two
COPY a.txt ../three
COPY a.txt ../four/
