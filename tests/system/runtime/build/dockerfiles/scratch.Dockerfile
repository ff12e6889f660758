FROM scratch
COPY a.txt /
COPY dir /d
ENV A=1
