# test: ignore=*.txt|!b.txt|dir/nested|**/*.sh
FROM base
COPY . /all
