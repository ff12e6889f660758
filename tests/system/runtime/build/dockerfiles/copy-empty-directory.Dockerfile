FROM base
COPY empty /e
