FROM base
ADD dir /a/
ADD . /all/
