FROM base
ENV D=/from/env
WORKDIR $D/x
