FROM base
COPY private /new
COPY private /slash/
COPY . /all
