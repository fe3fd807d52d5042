# PostgreSQL for database = "managed". RDS generates the password and keeps it in Secrets Manager: it is never in the state.

resource "aws_db_subnet_group" "lab" {
  count = var.database == "managed" ? 1 : 0

  name       = var.name
  subnet_ids = aws_subnet.private[*].id
}

resource "aws_security_group" "database" {
  count = var.database == "managed" ? 1 : 0

  name        = "${var.name}-database"
  description = "PostgreSQL of ${var.name}"
  vpc_id      = aws_vpc.lab.id
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  count = var.database == "managed" ? 1 : 0

  security_group_id            = aws_security_group.database[0].id
  referenced_security_group_id = aws_eks_cluster.lab.vpc_config[0].cluster_security_group_id # of the nodes
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_db_instance" "lab" {
  count = var.database == "managed" ? 1 : 0

  identifier                  = var.name
  engine                      = "postgres"
  engine_version              = "17"
  instance_class              = var.database_class
  allocated_storage           = 20
  storage_type                = "gp3"
  storage_encrypted           = true
  db_name                     = "albums"
  username                    = "soundcheck"
  manage_master_user_password = true
  db_subnet_group_name        = aws_db_subnet_group.lab[0].name
  vpc_security_group_ids      = [aws_security_group.database[0].id]
  publicly_accessible         = false
  backup_retention_period     = 0
  skip_final_snapshot         = true
  delete_automated_backups    = true
  deletion_protection         = var.deletion_protection
}

# Otherwise RDS changes the password every 7 days, and new connections of running pods fail.
resource "aws_secretsmanager_secret_rotation" "database" {
  count = var.database == "managed" ? 1 : 0

  secret_id          = aws_db_instance.lab[0].master_user_secret[0].secret_arn
  rotate_immediately = false

  rotation_rules {
    automatically_after_days = 1000
  }
}
