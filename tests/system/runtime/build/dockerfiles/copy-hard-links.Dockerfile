FROM base
COPY h1 h2 /links/
COPY . /all
