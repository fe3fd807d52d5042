# This file is maintained automatically by "tofu init".
# Manual edits may be lost in future updates.

provider "registry.opentofu.org/hashicorp/aws" {
  version     = "6.60.0"
  constraints = "6.60.0"
  hashes = [
    "h1:X+pOKXJK+13OHTy0FRs/2BZwVb3Yx1JnNecMWppleqo=",
    "h1:YRns9Ke5/lM+LgesXv7niA/lK/Id+6CrBb+R26FO23E=",
    "h1:rXxKFI+Xz09xhDQ/ZbYBr/AdLe6Y556vNOV7AzXRJEE=",
    "h1:sStk9nPIsdPH6HqzHX2ks73jANQJpRnb3QHLIHaoDyc=",
    "zh:04007b56bf3cd60edfcc27f781e403c0d62d056cad1105adc0322b5adf26913a",
    "zh:11bb0620cd8f038f998f553c5b4250e9693251a6e59cb64265d55709dcf86037",
    "zh:22db108fada357d17df06dc26f3ab9fa71c5190b847c4b70e155ad697afcb7bf",
    "zh:39ec362a095882a3789a251ea368bcc7d452ea51ac1f220f1d092ea85235549e",
    "zh:3e8e0c6d1bfa4c8530d05b6c68f3284128623ff5be80f81020fd3f4719dc70af",
    "zh:4d4ef06153e5c569351852281d54b072a578e813e4b0874bf01613bd7bb7b467",
    "zh:5eb1eb6923565289b4ffb519210fc7e33ec987f7b2999332c3a9ef586b3a6f28",
    "zh:5faa31735484ee49764d65a95b1d5a92b5b386ee8a53ef13b8ed0be0dc2de553",
    "zh:9ba05a552ccefb036af6e63bc7f60bed29442bc3202999cebe0603bf8de583bc",
    "zh:a0c9604f236ea32555dd78862b55208beecca44339a0ef65c6915cfea5ef8cd6",
    "zh:aff6ef217cb33cd24a1929680d1f41d8c1351d91edb7b81d231fc13c75f74946",
    "zh:babe3a17d6eb80e07cec4c53e48abcf78e5eb611aab97d16acb805f52c72e672",
    "zh:e453f680c3bc425b73f5438c3ee5a2b966c03945a9208166555eafa91922efbb",
    "zh:f81f5d027675d87a4cb691401e26596541a87e30a06d60184fca8cf1438df982",
    "zh:fa756e22f8c766b0272cf8400a21b66d5dbf4ff0542732f43b026e02a41c6e13",
  ]
}
