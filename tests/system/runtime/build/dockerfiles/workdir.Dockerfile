FROM base
WORKDIR a
WORKDIR b
WORKDIR /c/../d
RUN pwd >/x
