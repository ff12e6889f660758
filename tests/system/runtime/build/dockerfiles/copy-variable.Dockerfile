FROM base
ENV SRC=a.txt DST=/d
COPY $SRC ${DST}/$SRC
