# A comment.
FROM base

# Another.
RUN echo one \
  # inside a continued line
  two \

  three >/x
   # indented
ENV A=b
