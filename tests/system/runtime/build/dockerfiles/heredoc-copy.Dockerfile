# test: oracle=podman
FROM base
COPY <<one /d/one
text of $BASE
one
