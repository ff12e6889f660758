# test: ignore=dir|!dir/nested
FROM base
COPY . /all
