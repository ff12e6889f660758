FROM base AS parent
ONBUILD RUN echo triggered >/t
ONBUILD ENV T=1
FROM parent
RUN echo own >/o
