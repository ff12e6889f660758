FROM base
WORKDIR /w
COPY . .
