FROM base
COPY dir/link /one
COPY dir/link a.txt /two/
