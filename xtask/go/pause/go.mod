module weir.dev/pause

go 1.26.0
