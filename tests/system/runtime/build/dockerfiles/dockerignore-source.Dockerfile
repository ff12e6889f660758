# test: ignore=a.txt result=fails
FROM base
COPY a.txt /
