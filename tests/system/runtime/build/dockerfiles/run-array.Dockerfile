FROM base
RUN ["/bin/sh", "-c", "echo $BASE >/x"]
RUN ["touch", "/y"]
