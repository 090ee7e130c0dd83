-- name: CountUsers :one
SELECT count(*) FROM users;

-- name: CreateUser :one
INSERT INTO users (name, full_name, role, password, language) VALUES (@name, @full_name, @role, @password, @language) RETURNING *;

-- name: UserByName :one
SELECT * FROM users WHERE name = @name;
