# Two private subnets, in two zones as EKS demands, and a public one that has nothing but the NAT gateway. No node has a
# public address.

data "aws_availability_zones" "lab" {
  state            = "available"
  exclude_zone_ids = ["cac1-az3", "use1-az3", "usw1-az2"] # EKS rejects subnets there

  # Not local zones, which have no control plane.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

resource "aws_vpc" "lab" {
  cidr_block           = "10.10.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

resource "aws_subnet" "private" {
  count = 2

  vpc_id            = aws_vpc.lab.id
  availability_zone = data.aws_availability_zones.lab.names[count.index]
  cidr_block        = cidrsubnet(aws_vpc.lab.cidr_block, 3, count.index + 1) # /19: each pod has an address
  tags              = { Name = "${var.name}-private-${count.index}", "kubernetes.io/role/internal-elb" = "1" }
}

resource "aws_subnet" "public" {
  vpc_id                  = aws_vpc.lab.id
  availability_zone       = data.aws_availability_zones.lab.names[0]
  cidr_block              = cidrsubnet(aws_vpc.lab.cidr_block, 8, 0)
  map_public_ip_on_launch = false
  tags                    = { Name = "${var.name}-public" }
}

resource "aws_internet_gateway" "lab" {
  vpc_id = aws_vpc.lab.id
  tags   = { Name = var.name }
}

resource "aws_eip" "nat" {
  domain = "vpc"
  tags   = { Name = var.name }

  depends_on = [aws_internet_gateway.lab]
}

resource "aws_nat_gateway" "lab" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public.id
  tags          = { Name = var.name }

  # Private subnets reach the internet while there is a gateway.
  depends_on = [aws_route.public, aws_route_table_association.public]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.lab.id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.lab.id
}

resource "aws_route_table_association" "public" {
  route_table_id = aws_route_table.public.id
  subnet_id      = aws_subnet.public.id
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.lab.id
  tags   = { Name = "${var.name}-private" }
}

resource "aws_route" "private" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.lab.id
}

resource "aws_route_table_association" "private" {
  count = 2

  route_table_id = aws_route_table.private.id
  subnet_id      = aws_subnet.private[count.index].id
}
