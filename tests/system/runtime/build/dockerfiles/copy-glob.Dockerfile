FROM base
COPY *.txt /all/
COPY a.t?t /one
COPY dir/n*/e* /nested/
COPY [ab].txt /class/
